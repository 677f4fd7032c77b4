import { keepSignatures, prunable, pruneAudit, sealAudit, unsignedHeads } from '#src/db/audit-chain.ts'
import { dueStreams } from '#src/db/audit-streams.ts'
import type { PlaceKind, SignedPlace } from '#src/domain/audit.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { EngineServices } from '#src/engine/services.ts'

/** One tick's share: pieces of a sealing, heads to sign, tenants to look at for what is old, entries to take of each. */
const most = { pieces: 10, inPiece: 2_000, heads: 500, tenants: 50, old: 5_000, streams: 200 }

/** Seals what was noted since the last tick, signs where the chains end, takes what is too old and has streams delivered. */
export async function keepUpAudit(services: EngineServices): Promise<void> {
  const { database } = services
  for (let piece = 0; piece < most.pieces; piece++)
    if ((await sealAudit(database, most.inPiece)) < most.inPiece) break
  await signHeads(services)
  await pruneOld(services)
  for (const stream of await dueStreams(database, most.streams))
    await services.send(stream.tenantId, [{ job: 'audit-stream', payload: stream }])
}

/** A head goes on from the one that was signed before; where that signature is not good any more, none follows it. */
async function signHeads(services: EngineServices): Promise<void> {
  const { database, placeSigner } = services
  const heads = await unsignedHeads(database, await placeSigner.keyId(), most.heads)
  const signed = []
  for (const { tenantId, seq, hash, signed: before, anchor } of heads) {
    const isGood =
      (before === null || (before.seq <= seq && (await isOurs(services, tenantId, 'head', before)))) &&
      (anchor === null || (await isOurs(services, tenantId, 'anchor', anchor)))
    if (!isGood) continue
    signed.push({
      tenantId,
      signed: await placeSigner.sign(tenantId, 'head', { seq, hash }),
      anchor: anchor && (await placeSigner.sign(tenantId, 'anchor', anchor)),
    })
  }
  if (signed.length > 0) await keepSignatures(database, signed)
}

async function pruneOld(services: EngineServices): Promise<void> {
  const { database, placeSigner } = services
  for (const { tenantId, seq, hash, anchor } of await prunable(database, most.tenants, most.old)) {
    if (anchor && !(await isOurs(services, tenantId, 'anchor', anchor))) continue
    const signed = await placeSigner.sign(tenantId, 'anchor', { seq, hash })
    await pruneAudit(database, tenantId, signed, most.old)
  }
}

async function isOurs(
  services: EngineServices,
  tenantId: TenantId,
  kind: PlaceKind,
  place: SignedPlace,
): Promise<boolean> {
  const isGood = await services.placeSigner.verify(tenantId, kind, place)
  if (!isGood) services.log({ event: 'audit.signature_refused', tenantId, kind, seq: place.seq })
  return isGood
}
