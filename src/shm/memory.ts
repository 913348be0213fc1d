export { trimMemory } from './native-binding.ts';
