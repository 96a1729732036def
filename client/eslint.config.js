import reactHooks from 'eslint-plugin-react-hooks'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist/', '*.config.ts'] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  reactHooks.configs.flat.recommended,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      eqeqeq: 'error',
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^react', message: 'React belongs in src/react/.' }] },
      ],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      // `RowOf<N>` is the default only until a project registers its tables.
      '@typescript-eslint/no-unnecessary-type-arguments': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  { files: ['src/react/**'], rules: { 'no-restricted-imports': 'off' } },
  {
    // A test looks on from outside while components render.
    files: ['test/react/**'],
    rules: { 'no-restricted-imports': 'off', 'react-hooks/globals': 'off' },
  },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
)
