import createModule from 'libpg-query/wasm/libpg-query.js'

/** A node of PostgreSQL's raw parse tree as JSON: `{"SelectStmt": {…}}`. */
export type Tree = { stmts?: { stmt: Record<string, unknown>; stmt_location?: number; stmt_len?: number }[] }

export type ParseResult = { ok: true; tree: Tree } | { ok: false; message: string; offset: number }

export type Parse = (sql: string) => Promise<ParseResult>

type Grammar = {
  lengthBytesUTF8(text: string): number
  stringToUTF8(text: string, at: number, bytes: number): void
  UTF8ToString(at: number): string
  getValue(at: number, type: 'i32'): number
  _malloc(bytes: number): number
  _free(at: number): void
  _wasm_parse_query_raw(query: number): number
  _wasm_free_parse_result(result: number): void
}

/**
 * PostgreSQL's own grammar. The platform compiles the module, because workerd compiles none at run time; it is made an
 * instance of on first use.
 */
export function openGrammar(module: WebAssembly.Module): Parse {
  let grammar: Promise<Grammar> | undefined
  return async (sql) => {
    grammar ??= createModule({
      instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) {
        const instance = new WebAssembly.Instance(module, imports)
        done(instance)
        return instance.exports
      },
    }) as Promise<Grammar>
    return parseWith(await grammar, sql)
  }
}

/** The result is a C struct: parse tree, captured stderr, error; the error is message, function, file, line, position. */
function parseWith(grammar: Grammar, sql: string): ParseResult {
  const bytes = grammar.lengthBytesUTF8(sql) + 1
  const query = grammar._malloc(bytes)
  let result = 0
  try {
    grammar.stringToUTF8(sql, query, bytes)
    result = grammar._wasm_parse_query_raw(query)
    if (result === 0) return { ok: false, message: 'the text is too large to parse', offset: 0 }
    const error = grammar.getValue(result + 8, 'i32')
    if (error !== 0) {
      const message = grammar.UTF8ToString(grammar.getValue(error, 'i32'))
      return { ok: false, message, offset: Math.max(grammar.getValue(error + 16, 'i32') - 1, 0) }
    }
    return { ok: true, tree: JSON.parse(grammar.UTF8ToString(grammar.getValue(result, 'i32'))) as Tree }
  } finally {
    grammar._free(query)
    if (result !== 0) grammar._wasm_free_parse_result(result)
  }
}
