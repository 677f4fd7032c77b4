/** workerd compiles WebAssembly before the first request and gives the module. */
declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}
declare module '@jitl/quickjs-wasmfile-release-sync/wasm' {
  const module: WebAssembly.Module
  export default module
}
