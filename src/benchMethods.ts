import type { BenchMethod, GrowName, MethodName, PruneName, RegrowInitName } from './vocabulary.js';

/*
 * What the methods of an experiment are: how their links evolve, and whether they know motifs. The one place
 * that says so.
 */

/** Rules of an evolution. What is absent, the options of the experiment say. */
export interface BenchEvolution {
  method: MethodName;
  grow: GrowName;
  prune?: PruneName;
  regrowInit?: RegrowInitName;
}

interface MethodRules {
  evolution: BenchEvolution;
  /** The same of single links, for a method of motifs. */
  single?: BenchMethod;
}

const rules: Record<BenchMethod, MethodRules> = {
  set: { evolution: { method: 'set', grow: 'random' } },
  'set-motif': { evolution: { method: 'set-motif', grow: 'random' }, single: 'set' },
  'set-walk': { evolution: { method: 'set', grow: 'walk' } },
  'set-motif-walk': { evolution: { method: 'set-motif', grow: 'walk' }, single: 'set-walk' },
  'set-gradient': { evolution: { method: 'set', grow: 'gradient' } },
  'set-motif-gradient': { evolution: { method: 'set-motif', grow: 'gradient' }, single: 'set-gradient' },
  // Evci et al. 2020, its candidates sampled.
  rigl: { evolution: { method: 'set', grow: 'gradient', prune: 'lowest', regrowInit: 'zero' } },
  static: { evolution: { method: 'static', grow: 'random' } },
  dense: { evolution: { method: 'static', grow: 'random' } },
};

export function evolutionOf(method: BenchMethod): BenchEvolution {
  return rules[method].evolution;
}

/** Whether its links change. */
export function evolves(method: BenchMethod): boolean {
  return evolutionOf(method).method !== 'static';
}

/** Whether it prunes and grows motifs. */
export function evolvesMotifs(method: BenchMethod): boolean {
  return rules[method].single !== undefined;
}

/** The method that does the same with single links: what a method of motifs is at motif size 1. */
export function ofSingleLinks(method: BenchMethod): BenchMethod {
  return rules[method].single ?? method;
}

/** Whether links grow anywhere, as in SET: the other rules came later than the thesis. */
export function growsAnywhere(method: BenchMethod): boolean {
  return evolutionOf(method).grow === 'random';
}
