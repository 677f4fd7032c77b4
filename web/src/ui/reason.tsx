type CommentProps = { label: string; name: string; required?: boolean }

/** A few words of whoever does something, kept with what they did. */
export function Comment({ label, name, required = false }: CommentProps) {
  return (
    <label>
      {label}
      {required ? '' : ' (optional)'}
      <textarea name={name} rows={2} maxLength={1_000} required={required} />
    </label>
  )
}

/** Why somebody intervenes. */
export function Reason({ required = false }: { required?: boolean }) {
  return <Comment label="Why" name="reason" required={required} />
}

/** What was given as the reason, if anything. */
export function reasonIn(form: FormData): { reason?: string } {
  const value = form.get('reason')
  const reason = typeof value === 'string' ? value.trim() : ''
  return reason === '' ? {} : { reason }
}
