export interface Course {
  readonly id: number
  readonly title: string
  readonly summary: string
  readonly status: 'DRAFT' | 'PUBLISHED'
}

export interface Registration {
  readonly id: number
  readonly person_id: string
  readonly course_id: number
  readonly progress: number
  readonly created_at: string
}

export interface Notification {
  readonly id: number
  readonly person_id: string
  readonly kind: 'enrolment' | 'payment' | 'certificate'
  readonly text: string
  readonly is_read: boolean
  readonly created_at: string
}

export interface Score {
  readonly person_id: string
  readonly name: string
  readonly points: number
}

declare module 'pgfeed' {
  interface Register {
    tables: {
      courses: Course
      registrations: Registration
      notifications: Notification
      scores: Score
    }
  }
}
