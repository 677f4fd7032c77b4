/** The part of s3rver that we use; the package brings no types. */
declare module 's3rver' {
  import type { RequestListener } from 'node:http'

  export type Metadata = Record<string, string>
  export type Store = {
    getMetadata(bucket: string, key: string): Promise<Metadata>
    listObjects(
      bucket: string,
      options: { prefix: string; startAfter: string; delimiter: string; maxKeys: number },
    ): Promise<{
      objects: { key: string; size: number; lastModifiedDate: Date; metadata: Metadata }[]
      commonPrefixes: string[]
      isTruncated: boolean
    }>
  }

  export default class S3rver {
    store: Store
    constructor(options: {
      directory: string
      silent: boolean
      vhostBuckets: boolean
      configureBuckets: { name: string; configs: string[] }[]
    })
    configureBuckets(): Promise<unknown>
    callback(): RequestListener
  }
}
