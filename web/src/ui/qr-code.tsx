import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import styles from './qr-code.module.css'

/** A text as a square for phones, which stands beside it in words. One path: nothing is fetched and no style is inline. */
export function QrCode({ value }: { value: string }) {
  const drawn = useSignal<{ size: number; path: string } | undefined>(undefined)
  useEffect(() => {
    let gone = false
    void import('uqr').then(({ encode }) => {
      const { data, size } = encode(value, { ecc: 'M', border: 2 })
      const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join('')
      if (!gone) drawn.value = { size, path }
    })
    return () => {
      gone = true
    }
  }, [value])
  if (drawn.value === undefined) return null
  const { size, path } = drawn.value
  return (
    <svg class={styles.code} viewBox={`0 0 ${size} ${size}`} aria-hidden="true" shapeRendering="crispEdges">
      <path class={styles.ground} d={`M0 0h${size}v${size}h-${size}z`} />
      <path class={styles.ink} d={path} />
    </svg>
  )
}
