/** Whether a path names something of this kind at all; whether it is there only the server knows. */
export const isId = <P extends string>(prefix: P, text: string | undefined): text is `${P}_${string}` =>
  text?.startsWith(`${prefix}_`) === true
