import { readQuickjs } from '#local/quickjs.ts'

/** QuickJS with its meter, compiled as the platforms do it. */
export const quickjs = async (): Promise<WebAssembly.Module> => WebAssembly.compile(await readQuickjs())
