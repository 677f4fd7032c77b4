import { checkChain, hashAt, readChain, type Ask, type Fault } from '#src/db/audit-chain.ts'
import { beginning, type ChainPlace, type PlaceSigner, type SignedPlace } from '#src/domain/audit.ts'
import type { TenantId } from '#src/domain/id.ts'

export type Verdict =
  | { ok: true; checked: number; head?: SignedPlace | ChainPlace | undefined; next?: ChainPlace }
  | {
      ok: false
      checked: number
      seq: number
      fault: Fault | 'truncated' | 'left_out' | 'signature' | 'pinned'
    }

/** Entries a look at the database checks. */
const pageSize = 10_000

/**
 * Looks whether a tenant's log is whole: each entry follows from the one before it, the first from what retention has signed,
 * and the last is where the chain ends and was signed. `pinned` is a head that somebody kept outside.
 * @param options.from goes on where a call before, of at most `options.most` entries, has ended
 */
export async function verifyChain(
  ask: Ask,
  tenantId: TenantId,
  signer: PlaceSigner,
  options: { from?: ChainPlace | undefined; pinned?: ChainPlace | undefined; most?: number } = {},
): Promise<Verdict> {
  const chain = await readChain(ask, tenantId)
  const { head, signed, anchor, anchorSeq } = chain
  const broken = (seq: number, fault: (Verdict & { ok: false })['fault'], checked = 0): Verdict => ({
    ok: false,
    checked,
    seq,
    fault,
  })
  if (anchorSeq > 0 && (anchor?.seq !== anchorSeq || !(await signer.verify(tenantId, 'anchor', anchor))))
    return broken(anchorSeq, 'signature')
  if (signed && (!head || signed.seq > head.seq)) return broken(signed.seq, 'truncated')
  if (signed && !(await signer.verify(tenantId, 'head', signed))) return broken(signed.seq, 'signature')
  for (const known of [options.pinned, signed]) {
    if (!known || known.seq <= anchorSeq) continue
    if (!head || known.seq > head.seq) return broken(known.seq, 'truncated')
    const hash = await hashAt(ask, tenantId, known.seq)
    if (hash === undefined) return broken(known.seq, known.seq === head.seq ? 'truncated' : 'missing')
    if (hash !== known.hash) return broken(known.seq, known === signed ? 'changed' : 'pinned')
  }
  let last: ChainPlace = options.from ?? anchor ?? { seq: 0, hash: await beginning(tenantId) }
  if (last.seq < anchorSeq && anchor) last = anchor
  let checked = 0
  const most = options.most ?? Infinity
  while (head && last.seq < head.seq && checked < most) {
    const found = await checkChain(ask, tenantId, last, head.seq, Math.min(pageSize, most - checked))
    checked += found.checked
    if (found.broken) return broken(found.broken.seq, found.broken.fault, checked)
    if (!found.last) return broken(last.seq + 1, 'truncated', checked)
    last = found.last
  }
  if (head && last.seq < head.seq) return { ok: true, checked, next: last }
  if (head && last.hash !== head.hash) return broken(head.seq, 'changed', checked)
  if (chain.leftOut !== undefined) return broken((head?.seq ?? 0) + 1, 'left_out', checked)
  return { ok: true, checked, head: signed?.seq === head?.seq ? signed : head }
}
