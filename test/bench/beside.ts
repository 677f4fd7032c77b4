import type { Measure } from './measure.ts'

const shared = ['chain40', 'runs1000']

/** Each peer's figure for the same work beside ours, and as a multiple of it; ours and Restate's are asked for over HTTP. */
export function besidePeers(measures: Readonly<Record<string, Measure>>): string[][] {
  const peers = new Set(
    Object.keys(measures).flatMap((name) => /^peer_(.+)_(?:chain40|runs1000)$/.exec(name)?.[1] ?? []),
  )
  if (peers.size === 0) return []
  const row = (label: string, prefix: string): string[] => [
    label,
    ...shared.flatMap((work) => {
      const [own, found] = [measures[work], measures[`${prefix}${work}`]]
      if (!found) return ['', '']
      const times = own === undefined ? '' : `${(found.median / own.median).toFixed(2)} ×`
      return [`${found.median} ${found.unit}`, times]
    }),
  ]
  return [
    ['engine', ...shared.flatMap((work) => [work, 'to ours'])],
    row('weir', ''),
    ...[...peers].toSorted().map((peer) => row(peer, `peer_${peer}_`)),
  ]
}
