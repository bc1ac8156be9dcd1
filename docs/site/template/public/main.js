export default {
  // Only blocks that name their language are highlighted: a guess colors words in shell commands.
  configureHljs: hljs => hljs.configure({ languages: [] }),
}
