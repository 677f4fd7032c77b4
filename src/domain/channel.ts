import type { ChannelId } from './id.ts'

export const channelKinds = ['webhook', 'slack', 'email'] as const
export type ChannelKind = (typeof channelKinds)[number]

export type Channel = {
  id: ChannelId
  name: string
  kind: ChannelKind
  config: Record<string, unknown>
  /** Sealed; see SecretBox. */
  secret: string | null
  failure: { code: string; message: string; at: string } | null
  disabledAt: Date | null
  version: number
  createdAt: Date
  updatedAt: Date
}

/** What is told: `subject` to people, all of it to programs. */
export type Notice = {
  /** The same for the same notice, however often it is sent. */
  id: string
  type: string
  at: Date
  subject: string
  body: Record<string, unknown>
}
