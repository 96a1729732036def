/** Calls the page back. What that throws is told to the page, and costs nobody else anything. */
export function guard(call: () => void): void {
  try {
    call()
  } catch (error) {
    setTimeout(() => {
      throw error
    })
  }
}
