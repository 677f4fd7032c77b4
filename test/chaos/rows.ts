/** The rows of a dataset as the model has them: the ids, each as often as it is there. */
export type Rows = readonly number[]

export const numbers = (count: number): Rows => Array.from({ length: count }, (_, i) => i + 1)

/** Rows of the files that every tenant has. */
export const fileRows = { 'rows.csv': numbers(400), 'rows.ndjson': numbers(250) } as const
