/** The built console's files by their path; the build puts them there. */
declare module 'weir:console' {
  const files: Readonly<Record<string, { type: string; etag: string; text?: string; base64?: string }>>
  export default files
}
