import { defineConfig } from 'vite'

/** Styles and scripts stay files of their own: the console's policy allows nothing inline. */
export default defineConfig({
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
})
