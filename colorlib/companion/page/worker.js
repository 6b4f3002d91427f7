let networks;
onmessage = async ({data}) => {
  try {
    if (data.kernel) {
      networks = await loadNetworks(data);
      postMessage({});
    } else {
      const found = networks[data.network](data.light, data.height, data.width);
      postMessage({found}, [found.buffer]);
    }
  } catch (error) {
    postMessage({error: String(error)});
  }
};
