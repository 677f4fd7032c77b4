/** A node of the parse tree, or what a field of one holds. */
export type Node = Record<string, unknown>

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The parts of a dotted name; what is no name, such as a star or a subscript, is '*'. */
export const namesOf = (list: unknown): string[] =>
  (Array.isArray(list) ? list : []).map((item: Node) => {
    const inner = item['String']
    if (!isNode(inner)) return '*'
    return typeof inner['sval'] === 'string' ? inner['sval'] : ''
  })
