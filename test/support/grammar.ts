import { readGrammar } from '#local/grammar.ts'

/** PostgreSQL's grammar, compiled as the platforms do it. */
export const grammar = async (): Promise<WebAssembly.Module> => WebAssembly.compile(await readGrammar())
