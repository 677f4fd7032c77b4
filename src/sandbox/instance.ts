import release from '@jitl/quickjs-wasmfile-release-sync'
import { newQuickJSWASMModuleFromVariant, newVariant, type QuickJSWASMModule } from 'quickjs-emscripten-core'

const pageBytes = 64 * 1024
const pagesAMb = 16
/** What the module asks for at the least: its own stack of 5 MB and its data. */
const ownPages = 96

export type Instance = {
  quickjs: QuickJSWASMModule
  meter: Meter
  /** Whether its memory has grown as far as it may. */
  isFull: () => boolean
}

/** What may still be done: it goes down by one in every turn of every loop, and below zero the instance traps. */
export type Meter = { left: () => number; set: (turns: number) => void }

/**
 * One instance of QuickJS with memory of its own, that is given nothing of ours but a clock. QuickJS' own memory limit counts
 * next to nothing in WebAssembly, so what bounds it is how far the memory may grow.
 */
export async function instantiate(module: WebAssembly.Module, memoryMb: number): Promise<Instance> {
  let fuel: WebAssembly.Global | undefined
  const loading = {
    instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) {
      const instance = new WebAssembly.Instance(module, imports)
      const found = instance.exports['fuel']
      if (!(found instanceof WebAssembly.Global)) throw new Error('this QuickJS has no meter')
      fuel = found
      done(instance)
      return instance.exports
    },
    print: () => undefined,
    printErr: () => undefined,
  }
  const maximum = ownPages + memoryMb * pagesAMb
  const memory = new WebAssembly.Memory({ initial: ownPages, maximum })
  const variant = newVariant(release, { wasmMemory: memory, emscriptenModule: loading })
  const quickjs = await newQuickJSWASMModuleFromVariant(variant)
  return {
    quickjs,
    // It grows by a twentieth at the least.
    isFull: () => (memory.buffer.byteLength / pageBytes) * 1.05 > maximum,
    meter: {
      left: () => Number(fuel?.value),
      set(turns) {
        if (fuel) fuel.value = BigInt(Math.floor(turns))
      },
    },
  }
}
