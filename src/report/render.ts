import { SetNativeError } from '../errors.js';
import { type Draw, loadVega } from '../figures/vega.js';

/*
 * Figures as files. Vega draws them; resvg, an optional dependency too, makes the pixels.
 */

export interface Renderer {
  draw: Draw;
  /** A figure that Vega drew, as it looks on paper; twice its size in pixels. */
  toPng(svg: string): Uint8Array;
}

interface Resvg {
  Resvg: new (
    svg: string,
    options: { fitTo: { mode: 'zoom'; value: number }; font: { loadSystemFonts: boolean; defaultFontFamily: string } },
  ) => { render(): { asPng(): Uint8Array } };
}

/** The renderer; or, where its packages are not installed, why there are no figures. */
export async function loadRenderer(): Promise<Renderer | string> {
  try {
    const draw = await loadVega('a report');
    const { Resvg } = (await import('@resvg/resvg-js')) as unknown as Resvg;
    const options = {
      fitTo: { mode: 'zoom' as const, value: 2 },
      font: { loadSystemFonts: true, defaultFontFamily: 'DejaVu Sans' },
    };
    return { draw, toPng: (svg) => new Resvg(onPaper(svg), options).render().asPng() };
  } catch (error) {
    const why = error instanceof SetNativeError ? error.message : (error as Error).message.split('\n')[0];
    return `No figures: they take the optional packages vega, vega-lite and @resvg/resvg-js (${why}).`;
  }
}

/** Dark ink on white, in a font that is there. */
export function onPaper(svg: string): string {
  return svg
    .replaceAll('currentColor', '#222222')
    .replaceAll('system-ui, sans-serif', 'DejaVu Sans, Arial, sans-serif')
    .replace(/(<svg[^>]*>)/, '$1<rect width="100%" height="100%" fill="white"/>');
}
