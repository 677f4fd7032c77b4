declare module 'libpg-query/wasm/libpg-query.js' {
  export default function createModule(options: object): Promise<unknown>
}
