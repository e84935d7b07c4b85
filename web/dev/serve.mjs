// Serves the built page with the sample API behind it, under the content security policy of the real server.
//   npm run build && npm run demo      then open the address it prints
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createConnectRouter } from '@connectrpc/connect'
import { createFetchHandler } from '@connectrpc/connect/protocol'
import { createServer as createVite } from 'vite'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
const types = { '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' }

// Vite reads TypeScript and the aliases for us.
const vite = await createVite({ root, appType: 'custom', logLevel: 'warn', server: { middlewareMode: true, hmr: false, ws: false } })
const { SampleApi, sampleToken } = await vite.ssrLoadModule('/dev/sample-api.ts')

const api = new SampleApi()
if (process.env.SAMPLE !== 'empty') {
  api.fill()
  let n = 0
  setInterval(() => api.tick(n++), 700)
}
const router = createConnectRouter()
api.routes(router)
const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, createFetchHandler(handler)]))

const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
  const handle = handlers.get(url.pathname)
  if (handle) {
    const answer = await handle(new Request(url, { method: 'POST', headers: request.headers, body: request, duplex: 'half' }))
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    response.end(Buffer.from(await answer.arrayBuffer()))
    return
  }
  const name = extname(url.pathname) ? url.pathname : '/index.html'
  try {
    const body = await readFile(join(dist, name))
    response.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': policy })
    response.end(body)
  } catch {
    response.writeHead(404).end()
  }
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/#token=${sampleToken}`)
})
