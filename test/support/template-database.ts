/** Weir's database as the migrations make it, for copies; nobody signs in to it. */
export const templateDatabase = 'weir_template'
