/** The built console, put into the bundle by local/build.ts; src/worker.ts and src/deno.ts alone import it. */
declare module 'weir:console' {
  const files: import('./http/console.ts').ConsoleFiles
  export default files
}
