import { StepFailure } from '#src/domain/failure.ts'

export type FileFormat = 'csv' | 'ndjson' | 'parquet'
export type Compression = 'none' | 'gzip' | 'zstd'
export type FileShape = { format: FileFormat; compression: Compression }

const formats: Record<string, FileFormat> = {
  csv: 'csv',
  tsv: 'csv',
  txt: 'csv',
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  json: 'ndjson',
  parquet: 'parquet',
}
const compressions: Record<string, Compression> = { gz: 'gzip', gzip: 'gzip', zst: 'zstd', zstd: 'zstd' }

/** What the name says the file is; a declared format wins over its extension. */
export function shapeOf(name: string, declared?: FileFormat): FileShape {
  const parts = name.toLowerCase().split('.').slice(1)
  const compression = compressions[parts.at(-1) ?? '']
  if (compression) parts.pop()
  const format = declared ?? formats[parts.at(-1) ?? '']
  if (!format) {
    throw new StepFailure(
      'unknown_format',
      `It is not clear what the file "${name}" is: end its name in .csv, .ndjson or .parquet (and .gz or .zst), or declare its format.`,
    )
  }
  if (format === 'parquet' && compression) {
    throw new StepFailure(
      'unknown_format',
      `The Parquet file "${name}" is compressed as a whole; upload it as it is, Parquet compresses inside.`,
    )
  }
  return { format, compression: compression ?? 'none' }
}
