/** workerd compiles WebAssembly before the first request and gives the module. */
declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}
