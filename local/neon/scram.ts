import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

/** The client's side of SCRAM-SHA-256 without channel binding, for a server that asks for it. */
export class Scram {
  readonly #password: string
  readonly #first = `n=,r=${randomBytes(18).toString('base64')}`

  constructor(password: string) {
    this.#password = password
  }

  first(): string {
    return `n,,${this.#first}`
  }

  /** Answers the server's challenge. */
  final(challenge: string): string {
    const [, nonce = '', salt = '', rounds = ''] = /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(challenge) ?? []
    const withoutProof = `c=biws,r=${nonce}`
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, 'base64'), Number(rounds), 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const stored = createHash('sha256').update(clientKey).digest()
    const signature = hmac(stored, `${this.#first},${challenge},${withoutProof}`)
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
  }
}

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest()
