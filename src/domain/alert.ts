export const alertKinds = [
  'warned',
  'late',
  'escalated',
  'failed',
  'recovered',
  'not_fired',
  'refused',
  'quota',
] as const
export type AlertKind = (typeof alertKinds)[number]

export const alertStates = ['open', 'resolved'] as const
export type AlertState = (typeof alertStates)[number]
