import { fileURLToPath } from 'node:url'
import tailwind from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  plugins: [react(), tailwind()],
  resolve: {
    alias: { '@': here('src'), '@gen': here('../gen/es') },
    // The generated client lies outside this folder: its imports resolve from here.
    dedupe: ['@bufbuild/protobuf'],
  },
  build: {
    // An inlined asset would be a data: URL, which the page's content security policy refuses.
    assetsInlineLimit: 0,
    target: 'es2023',
    rolldownOptions: {
      output: {
        // Libraries change more seldom than the app: browsers keep them over an upgrade.
        codeSplitting: {
          groups: [
            { name: 'api', test: /@connectrpc|@bufbuild|gen\/es/ },
            { name: 'ui', test: /node_modules/ },
          ],
        },
      },
    },
  },
  server: {
    fs: { allow: ['..'] },
    proxy: {
      '^/(tollgate\\.admin\\.v1\\.|errors/)': process.env.TOLLGATE_SERVER ?? 'http://127.0.0.1:9080',
    },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    testTimeout: 60_000,
  },
})
