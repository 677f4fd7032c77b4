/** What can go wrong with everything that is played at the moment, and how often each of it does. */
export const troubles = {
  /** SIGKILL to one of the two Workers. */
  kill: 3,
  /** One of the Workers stands still until the leases that it holds have run out, and then goes on. */
  freeze: 4,
  /** Every session of the databases is ended by the server. */
  cut: 3,
  /** The sessions over WebSocket end, those of Weir's database only. */
  hangUp: 2,
  /** Requests to the database that never arrive. */
  refuse: 2,
  /** Requests to the database that are carried out, and whose answer is lost. */
  deafen: 4,
  /** The database is slow for everybody. */
  slow: 1,
  /** Leases run out though nobody stands still. */
  expire: 3,
  /** Redis is not there for a while. */
  forget: 1,
  /** The power is off: the Workers, PostgreSQL and QStash end at once and come back with what they had written. */
  crash: 1,
} as const
export type Trouble = keyof typeof troubles
