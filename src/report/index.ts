import path from 'node:path';
import { readExperiment } from '../experiment/read.js';
import type { BenchRun, Experiment } from '../experiment/results.js';
import { summarize } from '../experiment/summary.js';
import { makeFolder, notWritable, writeAtomically } from '../files/output.js';
import { refuseForeign } from '../files/own.js';
import { summaryCsv } from './csv.js';
import { figuresOf } from './figures/experiment.js';
import { figureFiles, loadRenderer, type Renderer } from './figures/render.js';
import { dataTitle, renderPage, type Section } from './html/page.js';

export interface ReportSource {
  /** Name of the experiment in the report. */
  dir: string;
  experiment: Experiment;
  runs: BenchRun[];
}

/**
 * Writes the report of one or several experiments into `out`: summary.json, summary.csv, figures/ (Vega-Lite
 * specifications, SVG, PNG) and report.html, which holds all of it and needs nothing else. The same results
 * give the same bytes. Resolves to the reason why there are no figures, if so. Rejects with ERR_IO where it
 * cannot write, and with ERR_IN_USE where a file of such a name is not of this program.
 */
export async function writeReport(out: string, sources: ReportSource[]): Promise<string | undefined> {
  const folder = path.join(out, 'figures');
  try {
    makeFolder(out);
  } catch (cause) {
    throw notWritable('report', 'out', out, cause);
  }
  refuseForeign('out', out, ['report.html', 'summary.json', 'summary.csv']);
  const renderer = await loadRenderer();
  const sections: Section[] = [];
  for (const [i, source] of sources.entries()) {
    const prefix = sources.length > 1 ? `${i + 1}-` : '';
    sections.push(await sectionOf(source, folder, prefix, renderer));
  }
  const summary = sections.flatMap(({ dir, experiment, summary: rows }) =>
    rows.map((row) => ({ ...(sources.length > 1 && { dir }), dataset: dataTitle(experiment), ...row })),
  );
  writeAtomically(path.join(out, 'summary.json'), [`${JSON.stringify(summary, undefined, 2)}\n`]);
  writeAtomically(path.join(out, 'summary.csv'), [summaryCsv(summary)]);
  writeAtomically(path.join(out, 'report.html'), [renderPage(sections)]);
  return typeof renderer === 'string' ? renderer : undefined;
}

/** Reads the experiment kept in `dir`, for a report. Throws as readExperiment does. */
export function reportSource(dir: string): ReportSource {
  return { dir, ...readExperiment(dir) };
}

async function sectionOf(
  { dir, experiment, runs }: ReportSource,
  folder: string,
  prefix: string,
  renderer: Renderer | string,
): Promise<Section> {
  const section: Section = { dir, experiment, runs, summary: summarize(runs), figures: [] };
  if (typeof renderer === 'string') return { ...section, missing: renderer };
  try {
    makeFolder(folder);
  } catch (cause) {
    throw notWritable('report', 'out', folder, cause);
  }
  const title = dataTitle(experiment);
  const readings = [...new Set(section.summary.map(({ reading }) => reading))];
  for (const reading of readings) {
    const caveat = `${readings.length > 1 ? `, reading ${reading}` : ''}: ${title}`;
    for (const { name, title: heading, text, spec } of figuresOf(runs, experiment.dataset, reading, caveat)) {
      // A figure may be shown alone: a caveat goes with it.
      const labelled = title === experiment.dataset.name ? spec : { title, ...spec };
      refuseForeign('out', folder, figureFiles(`${prefix}${name}`));
      const svg = await renderer.write(folder, `${prefix}${name}`, labelled);
      section.figures.push({ title: heading, text, svg });
    }
  }
  return section;
}
