/*
 * Guesses which option a misspelt one stands for: the same letters in another spelling (batch_size), a word
 * of other libraries (lr), or a slip of the keys (epohcs).
 */

/** Names that other libraries have for the options, without case and punctuation. */
const words: Record<string, readonly string[]> = {
  learningRate: ['lr', 'eta', 'rate', 'stepsize'],
  batchSize: ['batch', 'bs', 'minibatch', 'minibatchsize'],
  epochs: ['nepochs', 'numepochs', 'iterations', 'maxiter'],
  weightDecay: ['wd', 'decay', 'l2', 'lambda', 'regularization'],
  dropout: ['dropoutrate', 'droprate', 'pdropout', 'dropoutprobability'],
  average: ['swa', 'averaging', 'averageweights', 'weightaveraging', 'stochasticweightaveraging'],
  validation: [
    'val',
    'valid',
    'validationdata',
    'validationset',
    'validationsplit',
    'test',
    'x',
    'labels',
    'y',
  ],
  onEpoch: ['callback', 'callbacks', 'onepochend', 'progress', 'verbose'],
  signal: ['abort', 'abortsignal', 'controller'],
  evolution: ['zeta', 'method', 'prune', 'regrowinit', 'motifscore', 'motifparse', 'evolveoutput', 'evolve'],
  zeta: ['theta'],
  epsilon: ['sigma', 'density', 'sparsity'],
  layers: ['sizes', 'units', 'shape', 'hidden', 'hiddenlayers', 'hiddensizes', 'hiddenlayersizes'],
  seed: ['randomstate', 'randomseed', 'rng'],
  backend: ['device'],
  threads: ['nthreads', 'numthreads', 'njobs', 'workers', 'cores'],
  activation: ['activationfunction', 'nonlinearity'],
  loss: ['lossfunction', 'criterion', 'objective'],
  init: ['initializer', 'initialization', 'initialisation', 'weightinit'],
  x: ['data', 'inputs', 'input', 'xs', 'xtrain'],
  labels: ['y', 'label', 'classes', 'ys', 'ytrain'],
  features: ['nfeatures', 'numfeatures', 'width', 'inputsize', 'columns'],
  count: ['rows', 'nsamples', 'numsamples', 'length', 'size'],
};

/** The option of `known` that `given` most likely stands for. */
export function suggest(given: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const word = plain(given);
  const same = known.find((option) => plain(option) === word || words[option]?.includes(word));
  if (same !== undefined || word.length > 32) return same;
  const [nearest] = known
    .map((option) => ({ option, distance: editDistance(word, plain(option)) }))
    .filter(({ option, distance }) => distance <= Math.max(1, option.length / 4))
    .sort((a, b) => a.distance - b.distance);
  return nearest?.option;
}

/** Number of letters to insert, remove, change or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
