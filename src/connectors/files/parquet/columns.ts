import type { SchemaTree } from 'hyparquet'
import type { ColumnSpec } from '#src/domain/column.ts'
import { badParquet } from './failure.ts'
import { leavesOf } from './footer.ts'
import type { Footer } from './footer.ts'
import { leafOf } from './leaf.ts'
import type { Leaf } from './leaf.ts'
import type { LeafShape } from './page.ts'

export type LeafColumn = {
  index: number
  node: SchemaTree
  path: SchemaTree[]
  leaf: Leaf
  shape: Omit<LeafShape, 'codec'>
}
/** One column of the file as a tenant sees it: a flat one has one leaf, a nested one becomes JSON. */
export type ParquetColumn = {
  spec: ColumnSpec
  node: SchemaTree
  isFlat: boolean
  leaves: () => LeafColumn[]
}

/** The file's columns. What is wrong with one shows only when it is asked for, so that the others stay readable. */
export function columnsOf({ tree }: Footer, name: string): ParquetColumn[] {
  const all = leavesOf(tree)
  const seen = new Set<string>()
  return tree.children.map((node) => {
    const title = node.element.name
    if (!title || seen.has(title))
      throw badParquet(name, title ? `two columns are called "${title}"` : 'a column has no name')
    seen.add(title)
    const isFlat = node.children.length === 0 && node.element.repetition_type !== 'REPEATED'
    const leaves = (): LeafColumn[] =>
      leavesOf(node).map((leaf) => describe(tree, leaf, all.indexOf(leaf), name))
    const type = isFlat ? leaves()[0]?.leaf.type : 'json'
    const nullable = node.element.repetition_type === 'OPTIONAL'
    return { spec: { name: title, type: type ?? 'json', nullable }, node, isFlat, leaves }
  })
}

function describe(tree: SchemaTree, node: SchemaTree, index: number, name: string): LeafColumn {
  const path: SchemaTree[] = [tree]
  for (const part of node.path) {
    const child = path.at(-1)?.children.find((one) => one.element.name === part)
    if (child) path.push(child)
  }
  const below = path.slice(1)
  try {
    return {
      index,
      node,
      path,
      leaf: leafOf(node.element),
      shape: {
        physical: node.element.type ?? '',
        length: node.element.type_length ?? 0,
        maxDefinition: below.filter((one) => one.element.repetition_type !== 'REQUIRED').length,
        maxRepetition: below.filter((one) => one.element.repetition_type === 'REPEATED').length,
      },
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it is of an unknown type'
    throw badParquet(name, `the column "${node.path.join('.')}" cannot be read: ${why}`, cause)
  }
}
