import * as z from 'zod'

/** As it comes: no rules of composition, nothing cut off. */
export const newPassword = z.string().min(8).max(256)
/** One that somebody has already. */
export const shownPassword = z.string().max(256)
