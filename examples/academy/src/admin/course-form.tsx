import { useState } from 'react'
import type { ReactNode } from 'react'
import { useSession } from '../session.js'

export function CourseForm(): ReactNode {
  const { act } = useSession()
  const [failure, setFailure] = useState<string | null>(null)
  const add = async (form: FormData): Promise<void> => {
    try {
      await act('POST', 'courses', {
        title: form.get('title'),
        summary: form.get('summary'),
        status: form.get('publish') ? 'PUBLISHED' : 'DRAFT',
      })
      setFailure(null)
    } catch (error) {
      setFailure(String(error))
    }
  }
  return (
    <form action={add} className="card" aria-label="New course">
      <h2>New course</h2>
      <input name="title" aria-label="Title" placeholder="Title" required />
      <input name="summary" aria-label="Summary" placeholder="What it is about" />
      <label>
        <input type="checkbox" name="publish" defaultChecked /> publish at once
      </label>
      <button>Add</button>
      {failure && (
        <p className="refusal" role="alert">
          {failure}
        </p>
      )}
    </form>
  )
}
