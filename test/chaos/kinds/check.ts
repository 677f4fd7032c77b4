import { idOf, source, type Expected, type Kind, type Model } from './kind.ts'

/** Rejects, warns or fails where an id is too small. Whoever reads the dataset comes after it, so nobody may before. */
export const check: Kind = {
  weight: 2,
  make(from, where) {
    const dataset = source(from, where)
    if (dataset === undefined || where.before.some(({ reads }) => reads?.includes(dataset))) return undefined
    const onFail = from.pick(['reject', 'reject', 'warn', 'fail'] as const)
    const least = onFail === 'fail' ? from.below(3) : from.below(300)
    const expect = (model: Model): Expected => {
      const rows = model.rows(dataset)
      const kept = rows.filter((id) => id >= least)
      const counts = { in: rows.length, out: rows.length, rejected: 0 }
      if (kept.length === rows.length) return { state: 'succeeded', counts }
      if (onFail === 'fail') return { state: 'failed' }
      if (onFail === 'warn') return { state: 'succeeded', warned: true, counts }
      const rejected = rows.length - kept.length
      return { state: 'succeeded', made: kept, counts: { in: rows.length, out: kept.length, rejected } }
    }
    return {
      id: idOf(where),
      yaml: `check: ${dataset}, rules: [{ rule: between, column: id, min: ${least}, onFail: ${onFail} }]`,
      reads: [dataset],
      expect,
    }
  },
}
