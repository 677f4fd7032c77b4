import * as z from 'zod'

/** A column's name as PostgreSQL can hold it: 1 to 63 bytes, none of them NUL. */
export const columnName = z
  .string()
  .refine(
    (name) =>
      name !== '' &&
      !name.includes('\0') &&
      name.isWellFormed() &&
      new TextEncoder().encode(name).length <= 63,
    {
      error: 'must be a column name of 1 to 63 bytes',
    },
  )
