export type FaultOptions<Subject> = {
  /** How many requests it strikes; for good when not given. */
  times?: number
  /** Strikes only requests with something in them that this accepts. */
  when?: (subject: Subject) => boolean
}

type Armed<Fault, Subject> = { fault: Fault; left: number; when: FaultOptions<Subject>['when'] }

/** What goes wrong on command in one of the stand-ins, and which requests it strikes. */
export class ArmedFaults<Fault, Subject> {
  #armed: Armed<Fault, Subject>[] = []

  get isArmed(): boolean {
    return this.#armed.length > 0
  }

  /** Arms a fault and gives the function that takes it back. Several may be armed; each strikes by its own count. */
  inject(fault: Fault, { times = Infinity, when }: FaultOptions<Subject> = {}): () => void {
    const armed = { fault, left: times, when }
    this.#armed.push(armed)
    return () => {
      this.#armed = this.#armed.filter((each) => each !== armed)
    }
  }

  clear(): void {
    this.#armed = []
  }

  /** The faults that strike a request in which these stand. */
  strike(subjects: readonly Subject[]): Fault[] {
    if (this.#armed.length === 0) return []
    const struck = this.#armed.filter(({ when }) => when === undefined || subjects.some(when))
    for (const each of struck) each.left--
    this.#armed = this.#armed.filter(({ left }) => left > 0)
    return struck.map(({ fault }) => fault)
  }
}
