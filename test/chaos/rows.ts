/** The rows of a dataset as the model has them: the ids, each as often as it is there. */
export type Rows = readonly number[]

/** Rows of the file that every tenant has. */
export const fileRows: Rows = Array.from({ length: 400 }, (_, i) => i + 1)
