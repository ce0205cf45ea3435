import path from 'node:path';
import { writeAtomically } from '../../files/output.js';
import { loadVega, type Spec } from './vega.js';

/*
 * Figures as files. Vega draws them; resvg, an optional dependency too, makes the pixels.
 */

export interface Renderer {
  /**
   * Writes a figure into a folder, as specification, SVG and PNG of twice its size; resolves to the SVG for a
   * page.
   */
  write(folder: string, name: string, spec: Spec): Promise<string>;
}

interface Resvg {
  Resvg: new (
    svg: string,
    options: {
      fitTo: { mode: 'zoom'; value: number };
      font: { loadSystemFonts: boolean; defaultFontFamily: string };
    },
  ) => { render(): { asPng(): Uint8Array } };
}

/** The renderer; or, where its packages are not installed, why there are no figures. */
export async function loadRenderer(): Promise<Renderer | string> {
  try {
    const draw = await loadVega();
    const { Resvg } = (await import('@resvg/resvg-js')) as unknown as Resvg;
    const options = {
      fitTo: { mode: 'zoom' as const, value: 2 },
      font: { loadSystemFonts: true, defaultFontFamily: 'DejaVu Sans' },
    };
    return {
      async write(folder, name, spec) {
        const svg = ownIds(asXml(await draw(spec)), name);
        const contents = [
          `${JSON.stringify(spec, undefined, 1)}\n`,
          onPaper(svg),
          new Resvg(onPaper(svg), options).render().asPng(),
        ];
        for (const [i, file] of figureFiles(name).entries())
          writeAtomically(path.join(folder, file), [contents[i]!]);
        return svg;
      },
    };
  } catch (error) {
    const [why] = (error as Error).message.split('\n');
    return `No figures: they take the optional packages vega, vega-lite and @resvg/resvg-js (${why}).`;
  }
}

/** The files of a figure: specification, SVG and PNG. */
export function figureFiles(name: string): string[] {
  return ['vl.json', 'svg', 'png'].map((extension) => `${name}.${extension}`);
}

/** Characters of a name that XML has no way to write are replaced. */
function asXml(svg: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  return svg.replace(/[\0-\x08\v\f\x0e-\x1f\ufffe\uffff]/g, '\ufffd');
}

/** Dark ink on white, in a font that is there. */
function onPaper(svg: string): string {
  return svg
    .replaceAll('currentColor', '#222222')
    .replaceAll('system-ui, sans-serif', 'DejaVu Sans, Arial, sans-serif')
    .replace(/(<svg[^>]*>)/, '$1<rect width="100%" height="100%" fill="white"/>');
}

/**
 * Vega numbers its gradients and clips over all figures; a page of several needs ids that are the same every
 * time, and unique.
 */
function ownIds(svg: string, figure: string): string {
  const ids = new Map<string, string>();
  return svg.replace(/\b(?:gradient_|clip)\d+\b/g, (id) => {
    if (!ids.has(id)) ids.set(id, `${figure}-${ids.size}`);
    return ids.get(id)!;
  });
}
