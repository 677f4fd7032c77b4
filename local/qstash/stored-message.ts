import type { Message } from './message.ts'

export type StoredMessage = Omit<Message, 'body'> & { body: string }

export const storeMessage = (message: Message): StoredMessage => ({
  ...message,
  body: message.body.toString('base64'),
})

export const restoreMessage = (stored: StoredMessage): Message => ({
  ...stored,
  body: Buffer.from(stored.body, 'base64'),
})
