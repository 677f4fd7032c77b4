import * as z from 'zod'

/** Why somebody intervenes, in their own words; kept with what they did. */
export const reason = z.string().trim().min(1).max(1_000)
