import { cifarFiles } from './registry.js';

/*
 * Addresses at which data sets are published, and the files expected from there.
 */

/** A file on the authors' server. */
export interface Download {
  /** Path under the base address of the data set. */
  file: string;
  bytes: number;
  sha256: string;
}

export interface Publication {
  base: string;
  downloads: Download[];
  /** Wanted files of an archive, each with its bytes; their folders are dropped. */
  unpack?: { files: string[]; bytes: number };
}

const idx = (rows: [file: string, bytes: number, sha256: string][]): Download[] =>
  rows.map(([file, bytes, sha256]) => ({ file: `${file}-ubyte.gz`, bytes, sha256 }));

export const publications: Record<string, Publication> = {
  'fashion-mnist': {
    base: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    downloads: idx([
      ['train-images-idx3', 26421880, '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84'],
      ['train-labels-idx1', 29515, 'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845'],
      ['t10k-images-idx3', 4422102, '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073'],
      ['t10k-labels-idx1', 5148, '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5'],
    ]),
  },
  mnist: {
    base: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
    downloads: idx([
      ['train-images-idx3', 9912422, '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609'],
      ['train-labels-idx1', 28881, '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c'],
      ['t10k-images-idx3', 1648877, '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6'],
      ['t10k-labels-idx1', 4542, 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6'],
    ]),
  },
  cifar10: {
    base: 'https://www.cs.toronto.edu/~kriz/',
    downloads: [
      {
        file: 'cifar-10-binary.tar.gz',
        bytes: 170052171,
        sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9dddda3db29a59bca1dd',
      },
    ],
    unpack: { files: cifarFiles, bytes: 30730000 },
  },
  madelon: {
    base: 'https://archive.ics.uci.edu/ml/machine-learning-databases/madelon/',
    downloads: [
      {
        file: 'MADELON/madelon_train.data',
        bytes: 4001995,
        sha256: '0b6e37711efdc7ab74250c51e7d6966bffd9f8f2b0e9971e882c3a7a380c2314',
      },
      {
        file: 'MADELON/madelon_train.labels',
        bytes: 5000,
        sha256: '10bffcc3b017467cb810d326b931951adcbde2b4870faf981da2991993b48689',
      },
      {
        file: 'MADELON/madelon_valid.data',
        bytes: 1200599,
        sha256: 'cb9a46475147de1a58d9f15ef4c318e5b85de344e0f9ab92626fa446aa815dc9',
      },
      {
        file: 'madelon_valid.labels',
        bytes: 1500,
        sha256: 'fbac32fa87fac41ab731994a1c824e7b25396069bff6df242c01fe240fcb34dc',
      },
    ],
  },
};
