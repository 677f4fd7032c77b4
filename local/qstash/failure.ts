/** What an API caller did wrong, with the status that QStash answers. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const badRequest = (message: string) => new ApiFailure(400, message)
export const notFound = (message: string) => new ApiFailure(404, message)
