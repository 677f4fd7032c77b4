/** The built console, put into the bundle by local/build.ts; src/worker.ts and src/deno.ts alone import it. */
declare module 'weir:console' {
  import type { ConsoleFiles } from '#src/http/console.ts'
  const files: ConsoleFiles
  export default files
}
