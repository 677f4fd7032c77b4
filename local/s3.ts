import { mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

import S3rver from 's3rver'

import { loopback, portProblem } from './ports.ts'
import { listObjects, mendRange } from './s3/mend.ts'
import { refusal } from './s3/signature.ts'

export type S3 = {
  endpoint: string
  port: number
  region: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  stop(): Promise<void>
}

const corsRules = `<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>
  <AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>PUT</AllowedMethod>
  <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds>
</CORSRule></CORSConfiguration>`

/** Object storage over the S3 API with its files under `dir`: s3rver, and in front of it what it lacks, signatures first. */
export async function startS3(options: {
  dir: string
  bucket: string
  port?: number
  accessKeyId?: string
  secretAccessKey?: string
}): Promise<S3> {
  const keys = {
    accessKeyId: options.accessKeyId ?? 'S3RVER',
    secretAccessKey: options.secretAccessKey ?? 'S3RVER',
  }
  await mkdir(options.dir, { recursive: true })
  const store = new S3rver({
    directory: options.dir,
    silent: true,
    vhostBuckets: false,
    configureBuckets: [{ name: options.bucket, configs: [corsRules] }],
  })
  await store.configureBuckets()
  const pass = store.callback()
  const server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
    const answer = async () => {
      const refused = request.method === 'OPTIONS' ? undefined : refusal(request, keys, new Date())
      if (refused) return refuse(response, refused)
      forgetSignature(request)
      const url = new URL(request.url ?? '/', 'http://local')
      if (request.method === 'GET' && url.searchParams.get('list-type') === '2') {
        const xml = await listObjects(store.store, options.bucket, url.searchParams)
        response.writeHead(200, { 'Content-Type': 'application/xml' }).end(xml)
        return
      }
      await mendRange(store.store, options.bucket, request)
      pass(request, response)
    }
    answer().catch(() => response.destroy())
  })
  const port = options.port ?? 0
  await new Promise<void>((done, fail) => {
    server.once('error', (cause) => fail(portProblem(port, 'object storage', cause)))
    server.listen(port, loopback, done)
  })
  const address = server.address()
  const bound = address !== null && typeof address === 'object' ? address.port : port

  return {
    endpoint: `http://${loopback}:${bound}`,
    port: bound,
    region: 'us-east-1',
    bucket: options.bucket,
    ...keys,
    async stop() {
      const closed = new Promise((done) => server.close(done))
      server.closeAllConnections()
      await closed
    },
  }
}

function refuse(response: ServerResponse, { code, message }: { code: string; message: string }): void {
  response.writeHead(403, {
    'Content-Type': 'application/xml',
    'Access-Control-Allow-Origin': '*',
    Connection: 'close',
  })
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  )
}

/** s3rver would look the key up among its own accounts; what arrives there is allowed already. */
function forgetSignature(request: IncomingMessage): void {
  delete request.headers.authorization
  const url = new URL(request.url ?? '/', 'http://local')
  const signing = [...url.searchParams.keys()].filter((name) =>
    /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|content-sha256|security-token)$/i.test(
      name,
    ),
  )
  if (!signing.length) return
  for (const name of signing) url.searchParams.delete(name)
  request.url = url.pathname + url.search
}
