import { epochsOf } from '../thesis/readings.js';
import { isAveraged } from '../training/average.js';
import type { Reading } from '../vocabulary.js';
import { type ExperimentConfig, refinedOf } from './config.js';
import { groupsOf, topologyOf } from './plan.js';
import type { BenchRun, LayerDegrees } from './results.js';
import { armKey, trialNameInFull } from './trial.js';

/*
 * Checks whether a run that was read from a file is one that the experiment can have.
 */

/** Sizes of the data set. */
interface Sizes {
  features: number;
  classes: number;
}

/**
 * What is wrong with a run, as the rest of a sentence; undefined where it is sound.
 *
 * @param epochs that it must have, unless it failed before
 */
type RunCheck = (run: BenchRun, epochs?: number) => string | undefined;

/** Makes the check for the runs of an experiment. */
export function runCheck(config: ExperimentConfig, { features, classes }: Sizes): RunCheck {
  const planned = new Set(groupsOf({ ...config, runs: 1 }).flatMap(({ trials }) => trials.map(armKey)));
  const sizes = [features, ...config.hidden, classes];
  const isPlanned = (run: BenchRun) =>
    run.seed >= config.seed && run.seed < config.seed + config.runs && planned.has(armKey(run));
  return (run, epochs = epochsOf(config, run.reading)) => {
    if (!isPlanned(run)) return `is of a training that the experiment does not have: ${trialNameInFull(run)}`;
    return (
      wrongTopology(config, run) ??
      wrongEpochs(run, epochs) ??
      wrongNetwork(run, sizes) ??
      wrongAverage(config, run)
    );
  };
}

function wrongTopology(config: ExperimentConfig, run: BenchRun): string | undefined {
  const topology = topologyOf(config, run);
  return run.topology === topology
    ? undefined
    : `has topology ${run.topology}, where the experiment has ${topology}`;
}

function wrongEpochs({ epochs, failure, nnz }: BenchRun, planned: number): string | undefined {
  const at = epochs.findIndex(({ epoch }, i) => epoch !== i + 1);
  if (at >= 0) return `has epochs.${at}.epoch ${epochs[at]!.epoch}, where ${at + 1} was expected`;
  const { length } = epochs;
  if (failure === undefined ? length !== planned : length >= planned) {
    const expected = failure === undefined ? planned : `less than ${planned} before its failure`;
    return `has ${length} epochs, where ${expected} were expected`;
  }
  const old = epochs.findIndex(
    ({ epoch, linksByBirth }) => linksByBirth.length > epoch + 1 || sum(linksByBirth) > nnz,
  );
  return old < 0 ? undefined : `has epochs.${old}.linksByBirth of more links or epochs than there were`;
}

function wrongNetwork(
  { nnz, density, degrees, inputDegree, failure }: BenchRun,
  sizes: number[],
): string | undefined {
  const cells = sizes.slice(1).reduce((total, outputs, l) => total + sizes[l]! * outputs, 0);
  if (nnz > cells || Math.abs(density - nnz / cells) > 1e-9) {
    return `has nnz ${nnz} and density ${density}, which do not fit a network of ${sizes.join(', ')} neurons`;
  }
  for (const at of ['start', 'end'] as const) {
    const layers = degrees?.[at] ?? [];
    if (layers.length === 0 && (at === 'end' || degrees === undefined)) continue;
    const links =
      layers.length === sizes.length - 1 ? layers.map((layer, l) => linksOf(layer, sizes, l)) : [Number.NaN];
    if (sum(links) !== nnz) {
      return `has degrees.${at} that do not fit ${nnz} links in a network of ${sizes.join(', ')} neurons`;
    }
  }
  if (inputDegree === undefined) return undefined;
  const first = degrees?.end[0] ?? degrees?.start[0];
  const fits = inputDegree.length === sizes[0] && inputDegree.every((links) => links <= sizes[1]!);
  const links = sum(inputDegree);
  if (fits && failure === undefined && (first === undefined || links === linksOf(first, sizes, 0)))
    return undefined;
  return `has inputDegree that does not fit a layer of ${sizes[0]} inputs and ${sizes[1]} outputs`;
}

function wrongAverage(config: ExperimentConfig, { reading, averaged, epochs }: BenchRun): string | undefined {
  if (averaged === undefined) return undefined;
  const run = epochsOf(config, reading);
  if (epochs.length !== run || !mayAverage(config, reading, averaged.epochs, run))
    return `has an average of ${averaged.epochs} epochs, where the experiment has none such`;
  return undefined;
}

/** Whether a training of the reading can have an average of so many epochs, the last of them `epoch`. */
export function mayAverage(
  config: ExperimentConfig,
  reading: Reading,
  averaged: number,
  epoch: number,
): boolean {
  const { average } = refinedOf(config, reading);
  const first = epoch - averaged + 1;
  return average !== undefined && first > 0 && isAveraged(average, first, epochsOf(config, reading));
}

/** Links of a layer; NaN where its histograms do not fit these sizes. */
function linksOf(layer: LayerDegrees, sizes: number[], l: number): number {
  const [inputs, outputs] = [sizes[l]!, sizes[l + 1]!];
  if (layer.inputs !== inputs || layer.outputs !== outputs) return Number.NaN;
  if (layer.dense) return layer.in.length + layer.out.length === 0 ? inputs * outputs : Number.NaN;
  const links = sum(layer.in.map((targets, degree) => targets * degree));
  const fits =
    sum(layer.in) === outputs &&
    sum(layer.out) === inputs &&
    layer.in.length <= inputs + 1 &&
    layer.out.length <= outputs + 1 &&
    sum(layer.out.map((sources, degree) => sources * degree)) === links;
  return fits ? links : Number.NaN;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
