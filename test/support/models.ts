/** What trainingPlan asks of a model: one of momentum SGD with motifs of so many sources. */
export const sgd = (motifSize: number) => ({ optimizer: 'sgd' as const, motifSize });
