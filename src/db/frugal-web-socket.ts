type Kind = 'open' | 'message' | 'close' | 'error'
type Heard = Event | { data: ArrayBuffer }

/**
 * A WebSocket that gives a message's memory back as soon as it has been heard. workerd keeps it until V8 next collects its
 * whole heap, and V8, which does not see how much that is, lets hundreds of megabytes go by first. What is passed on is a
 * copy that V8 owns.
 */
export class FrugalWebSocket {
  private readonly socket: WebSocket

  constructor(url: string) {
    this.socket = new WebSocket(url)
  }

  get readyState(): number {
    return this.socket.readyState
  }

  get binaryType(): string {
    return this.socket.binaryType
  }

  set binaryType(type: 'arraybuffer') {
    this.socket.binaryType = type
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason)
  }

  send(data: string | BufferSource): void {
    this.socket.send(data)
  }

  addEventListener(kind: Kind, listener: (event: Heard) => void): void {
    this.socket.addEventListener(kind, (event: Event | MessageEvent) => {
      const data: unknown = 'data' in event ? event.data : undefined
      if (!(data instanceof ArrayBuffer)) return listener(event)
      const copy = data.slice(0)
      data.transfer(0)
      listener({ data: copy })
    })
  }
}
